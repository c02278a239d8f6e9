// Every option of the programs that serve, once: its type, default, words, variable and flag, and which
// of them take it. Parsing, help and docs/options.md are made from this table.

export type OptionType = 'text' | 'integer' | 'port' | 'boolean' | 'bytes' | 'choice' | 'list'

/** The programs that read options: the embedded server, a process of a cluster, a worker. */
export const PROGRAMS = ['dev', 'serve', 'work'] as const
export type Program = (typeof PROGRAMS)[number]

export interface OptionSpec {
  readonly type: OptionType
  /** Undefined: not set unless somebody does. */
  readonly default: string | number | boolean | readonly string[] | undefined
  /** One sentence, for help and docs. */
  readonly doc: string
  readonly env: string
  readonly flag: string
  /** Who reads it. */
  readonly for: readonly Program[]
  /** Who cannot start without it. */
  readonly requiredBy?: readonly Program[]
  /** What a choice, or each part of a list, may be. */
  readonly choices?: readonly string[]
  readonly min?: number
  readonly max?: number
  /**
   * Never shown, not in help and not in logs; given by its variable, or by a file that the variable
   * with `_FILE` behind it names. It has no flag, which everybody on the machine sees.
   */
  readonly secret?: boolean
  /** Programs that take a secret by flag all the same: what it guards is on this machine only. */
  readonly secretFlagOf?: readonly Program[]
}

export const ROLES = ['api', 'log', 'scheduler', 'spouts', 'egress', 'events'] as const
export type Role = (typeof ROLES)[number]

export const OPTIONS = {
  data: {
    type: 'text',
    default: '.varve',
    doc: 'Folder that holds everything; made when it is not there',
    env: 'VARVE_DATA',
    flag: '--data',
    for: ['dev'],
  },
  roles: {
    type: 'list',
    default: ROLES,
    doc: 'What this process does; any number of processes may do the same',
    env: 'VARVE_ROLES',
    flag: '--roles',
    for: ['serve'],
    choices: ROLES,
  },
  host: {
    type: 'text',
    default: '127.0.0.1',
    doc: 'Address to listen on; loopback unless you say otherwise',
    env: 'VARVE_HOST',
    flag: '--host',
    for: ['dev', 'serve'],
  },
  port: {
    type: 'port',
    default: 7070,
    doc: 'Port to listen on; 0: any; an embedded server takes the next free one when it is taken',
    env: 'VARVE_PORT',
    flag: '--port',
    for: ['dev', 'serve'],
  },
  advertise: {
    type: 'text',
    default: undefined,
    doc: 'Address under which others reach the API, if it is not the one this server listens on; public events name it as the place of their schemas',
    env: 'VARVE_ADVERTISE',
    flag: '--advertise',
    for: ['serve'],
  },
  token: {
    type: 'text',
    default: undefined,
    doc: 'Token callers must send; of an embedded server: by default one made at the first start, in the file "token" of the data folder',
    env: 'VARVE_TOKEN',
    flag: '--token',
    for: ['dev', 'serve'],
    requiredBy: ['serve'],
    secret: true,
    secretFlagOf: ['dev'],
  },
  clusterSecret: {
    type: 'text',
    default: undefined,
    doc: 'At least 32 characters that all processes of the cluster share: signs what they send each other, and the tokens of workers; of an embedded server: by default one made at the first start',
    env: 'VARVE_CLUSTER_SECRET',
    flag: '--cluster-secret',
    for: ['dev', 'serve'],
    requiredBy: ['serve'],
    min: 32,
    secret: true,
  },
  workerToken: {
    type: 'text',
    default: undefined,
    doc: 'Token of the workers, as "varve worker-token" makes it; or by --token',
    env: 'VARVE_WORKER_TOKEN',
    flag: '--token',
    for: ['work'],
    secret: true,
  },
  kafka: {
    type: 'list',
    default: undefined,
    doc: 'Kafka brokers to begin with, host:port',
    env: 'VARVE_KAFKA',
    flag: '--kafka',
    for: ['serve'],
    requiredBy: ['serve'],
  },
  kafkaConfig: {
    type: 'text',
    default: undefined,
    doc: 'File of settings for the brokers, as Java clients have it: security.protocol, sasl.mechanism, sasl.jaas.config, ssl.truststore.location with ssl.truststore.type=PEM, ssl.keystore.location; what is not known is refused',
    env: 'VARVE_KAFKA_CONFIG',
    flag: '--kafka-config',
    for: ['serve'],
  },
  topicPrefix: {
    type: 'text',
    default: 'varve',
    doc: 'First part of the names of our topics and consumer groups',
    env: 'VARVE_TOPIC_PREFIX',
    flag: '--topic-prefix',
    for: ['serve'],
  },
  cassandra: {
    type: 'list',
    default: undefined,
    doc: 'Cassandra nodes to begin with, host:port',
    env: 'VARVE_CASSANDRA',
    flag: '--cassandra',
    for: ['serve'],
    requiredBy: ['serve'],
  },
  cassandraDatacenter: {
    type: 'text',
    default: 'datacenter1',
    doc: 'The data centre of Cassandra that this process talks to',
    env: 'VARVE_CASSANDRA_DATACENTER',
    flag: '--cassandra-datacenter',
    for: ['serve'],
  },
  cassandraKeyspace: {
    type: 'text',
    default: 'varve',
    doc: 'Keyspace of our tables; made when it is not there',
    env: 'VARVE_CASSANDRA_KEYSPACE',
    flag: '--cassandra-keyspace',
    for: ['serve'],
  },
  cassandraUsername: {
    type: 'text',
    default: undefined,
    doc: 'Who logs in to Cassandra',
    env: 'VARVE_CASSANDRA_USERNAME',
    flag: '--cassandra-username',
    for: ['serve'],
  },
  cassandraPassword: {
    type: 'text',
    default: undefined,
    doc: 'The password of that user',
    env: 'VARVE_CASSANDRA_PASSWORD',
    flag: '--cassandra-password',
    for: ['serve'],
    secret: true,
  },
  cassandraCa: {
    type: 'text',
    default: undefined,
    doc: 'File of certificates to trust (PEM); with it Cassandra is spoken to over TLS',
    env: 'VARVE_CASSANDRA_CA',
    flag: '--cassandra-ca',
    for: ['serve'],
  },
  replication: {
    type: 'integer',
    default: 3,
    doc: 'Copies of everything we create in Kafka and Cassandra; 1 loses data with a disk',
    env: 'VARVE_REPLICATION',
    flag: '--replication',
    for: ['serve'],
    min: 1,
    max: 9,
  },
  s3Endpoint: {
    type: 'text',
    default: undefined,
    doc: 'Address of an S3-compatible store; default: Amazon',
    env: 'VARVE_S3_ENDPOINT',
    flag: '--s3-endpoint',
    for: ['serve'],
  },
  s3Region: {
    type: 'text',
    default: 'us-east-1',
    doc: 'Region of the bucket',
    env: 'VARVE_S3_REGION',
    flag: '--s3-region',
    for: ['serve'],
  },
  s3Bucket: {
    type: 'text',
    default: undefined,
    doc: 'Bucket that holds the bytes; it must exist',
    env: 'VARVE_S3_BUCKET',
    flag: '--s3-bucket',
    for: ['serve'],
    requiredBy: ['serve'],
  },
  s3Prefix: {
    type: 'text',
    default: undefined,
    doc: 'Put before every key, so that a bucket can be shared',
    env: 'VARVE_S3_PREFIX',
    flag: '--s3-prefix',
    for: ['serve'],
  },
  s3AccessKey: {
    type: 'text',
    default: undefined,
    doc: 'Access key; default: what the environment of AWS gives (roles, profiles)',
    env: 'VARVE_S3_ACCESS_KEY',
    flag: '--s3-access-key',
    for: ['serve'],
  },
  s3SecretKey: {
    type: 'text',
    default: undefined,
    doc: 'The secret of that key',
    env: 'VARVE_S3_SECRET_KEY',
    flag: '--s3-secret-key',
    for: ['serve'],
    secret: true,
  },
  s3PathStyle: {
    type: 'boolean',
    default: undefined,
    doc: 'The bucket stands in the path instead of the host name; default: unless the store is Amazon',
    env: 'VARVE_S3_PATH_STYLE',
    flag: '--s3-path-style',
    for: ['serve'],
  },
  registry: {
    type: 'text',
    default: undefined,
    doc: 'Address of a schema registry with the Confluent API, for topics of others',
    env: 'VARVE_REGISTRY',
    flag: '--registry',
    for: ['serve'],
  },
  pools: {
    type: 'text',
    default: undefined,
    doc: 'File (JSON) that says how pools of workers are kept on Kubernetes; without it there are none, and "varve work" does the work',
    env: 'VARVE_POOLS',
    flag: '--pools',
    for: ['serve'],
  },
  startPatienceSeconds: {
    type: 'integer',
    default: 120,
    doc: 'How long a start waits for Kafka, Cassandra and the store to answer, in seconds',
    env: 'VARVE_START_PATIENCE_SECONDS',
    flag: '--start-patience-seconds',
    for: ['serve'],
    min: 0,
    max: 3_600,
  },
  logLevel: {
    type: 'choice',
    default: 'info',
    doc: 'Lines below this level are not written',
    env: 'VARVE_LOG_LEVEL',
    flag: '--log-level',
    for: ['dev', 'serve', 'work'],
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
  },
  workers: {
    type: 'integer',
    default: undefined,
    doc: 'Datums worked on at once; default: one for each processor; 0: none here, "varve work" does it elsewhere',
    env: 'VARVE_WORKERS',
    flag: '--workers',
    for: ['dev', 'work'],
    min: 0,
    max: 1024,
  },
  cacheBytes: {
    type: 'bytes',
    default: 128 * 2 ** 20,
    doc: 'Memory for what was read lately: nodes of trees, small files',
    env: 'VARVE_CACHE_BYTES',
    flag: '--cache-bytes',
    for: ['dev', 'serve'],
    min: 0,
  },
  diskCache: {
    type: 'text',
    default: undefined,
    doc: 'Folder for what was read of the store lately; default: one in the temporary folder; processes of one machine may share it',
    env: 'VARVE_DISK_CACHE',
    flag: '--disk-cache',
    for: ['serve'],
  },
  diskCacheBytes: {
    type: 'bytes',
    default: 10 * 2 ** 30,
    doc: 'How much of that folder this process may fill; 0: nothing is kept on disk',
    env: 'VARVE_DISK_CACHE_BYTES',
    flag: '--disk-cache-bytes',
    for: ['serve'],
    min: 0,
  },
  inputCacheBytes: {
    type: 'bytes',
    default: 2 ** 30,
    doc: 'What a worker in a pod keeps of input files on its disk, for datums and jobs to come; 0: nothing',
    env: 'VARVE_INPUT_CACHE_BYTES',
    flag: '--input-cache-bytes',
    for: ['work'],
    min: 0,
  },
  maxUploadBytes: {
    type: 'bytes',
    default: 2 ** 40,
    doc: 'Largest body of one upload: 512MiB, 1TiB',
    env: 'VARVE_MAX_UPLOAD_BYTES',
    flag: '--max-upload-bytes',
    for: ['dev', 'serve'],
    min: 1,
  },
} as const satisfies Readonly<Record<string, OptionSpec>>

export type OptionName = keyof typeof OPTIONS

type ValueOf<S extends OptionSpec> = S['type'] extends 'integer' | 'port' | 'bytes'
  ? number
  : S['type'] extends 'boolean'
    ? boolean
    : S['type'] extends 'list'
      ? readonly (S['choices'] extends readonly string[] ? S['choices'][number] : string)[]
      : string

/** Names of the options a program takes. */
export type OptionOf<P extends Program> = {
  [N in OptionName]: P extends (typeof OPTIONS)[N]['for'][number] ? N : never
}[OptionName]

type Required<P extends Program, S> = S extends { readonly requiredBy: readonly (infer R)[] }
  ? P extends R
    ? true
    : false
  : false

/** What a program is told; an option without a default may be absent unless the program needs it. */
export type OptionsOf<P extends Program> = {
  readonly [N in OptionOf<P>]:
    | ValueOf<(typeof OPTIONS)[N]>
    | ((typeof OPTIONS)[N]['default'] extends undefined
        ? Required<P, (typeof OPTIONS)[N]> extends true
          ? never
          : undefined
        : never)
}

/** The options of a program, in the order of the table. */
export function optionsOf(program: Program): [OptionName, OptionSpec][] {
  const all = Object.entries(OPTIONS) as [OptionName, OptionSpec][]
  return all.filter(([, spec]) => spec.for.includes(program))
}

/** Whether a program takes it as a flag too: secrets come by variable or file. */
export function hasFlag(spec: OptionSpec, program: Program): boolean {
  return !spec.secret || spec.secretFlagOf?.includes(program) === true
}
