// Servers of a fault run's own, and what can be done to them: brokers, Cassandra nodes, the store, and
// a proxy before each Cassandra node.

import { TOPICS } from '../../src/bus/bus.ts'
import type { Cluster } from '../cluster/cluster.ts'
import { CassandraServer, proxyIp } from '../services/cassandra.ts'
import { KafkaServer } from '../services/kafka.ts'
import { TcpProxy } from '../services/proxy.ts'
import { S3Server } from '../services/s3.ts'
import { deleteTopic, drainOf, dropReplies, killOf, nodeKill, nodePause, stopOf } from './faults.ts'
import type { Fault, Node } from './faults.ts'

export class FaultServers {
  readonly kafka: KafkaServer
  readonly cassandra: CassandraServer
  readonly s3: S3Server
  readonly proxies: readonly TcpProxy[]
  readonly #nodes: number

  private constructor(
    servers: Pick<FaultServers, 'kafka' | 'cassandra' | 's3' | 'proxies'>,
    nodes: number,
  ) {
    this.kafka = servers.kafka
    this.cassandra = servers.cassandra
    this.s3 = servers.s3
    this.proxies = servers.proxies
    this.#nodes = nodes
  }

  /** @param nodes of Kafka and of Cassandra each */
  static async start(nodes: 1 | 3): Promise<FaultServers> {
    const started: { stop(): Promise<void> }[] = []
    const keep = <S extends { stop(): Promise<void> }>(server: S): S => {
      started.push(server)
      return server
    }
    try {
      const s3 = keep(await S3Server.own())
      const kafka = keep(await KafkaServer.start({ brokers: nodes }))
      const cassandra = keep(await CassandraServer.start({ nodes, behindProxies: true }))
      const proxies: TcpProxy[] = []
      for (const point of cassandra.contactPoints)
        proxies.push(keep(await TcpProxy.start(point, proxyIp(point))))
      return new FaultServers({ kafka, cassandra, s3, proxies }, nodes)
    } catch (error) {
      await Promise.allSettled(started.map((server) => server.stop()))
      throw error
    }
  }

  /** Where the cluster under test reaches Cassandra. */
  get cassandraThroughProxy(): string {
    return this.proxies.map(({ address }) => address).join(',')
  }

  async stop(): Promise<void> {
    await Promise.allSettled([
      ...this.proxies.map((proxy) => proxy.stop()),
      this.kafka.stop(),
      this.cassandra.stop(),
      this.s3.stop(),
    ])
  }

  brokers(): Node[] {
    return this.#each('Kafka', this.kafka)
  }

  cassandraNodes(): Node[] {
    return this.#each('Cassandra', this.cassandra)
  }

  store(): Node {
    const { s3 } = this
    return {
      name: 'S3',
      kill: () => s3.kill(),
      restart: () => s3.restart(),
      pause: () => s3.pause(),
      resume: () => s3.resume(),
    }
  }

  #each(kind: string, server: KafkaServer | CassandraServer): Node[] {
    return Array.from({ length: this.#nodes }, (_, n) => ({
      name: this.#nodes === 1 ? kind : `${kind}-${n + 1}`,
      kill: () => server.kill(n),
      restart: () => server.restart(n),
      pause: () => server.pause(n),
      resume: () => server.resume(n),
    }))
  }
}

/** Everything that can happen to a whole cluster. */
export function allFaults(cluster: Cluster, servers: FaultServers): Fault[] {
  const topics = [TOPICS.proposals, TOPICS.log, TOPICS.datums]
  return [
    ...cluster.members.map(killOf),
    ...cluster.members.map((member) => stopOf(member)),
    ...(['api', 'log', 'spouts', 'egress', 'work'] as const).flatMap((role) =>
      cluster.of(role).slice(0, 1).map(drainOf),
    ),
    ...servers.brokers().flatMap((node) => [nodeKill(node), nodePause(node)]),
    ...servers.cassandraNodes().flatMap((node) => [nodeKill(node), nodePause(node)]),
    ...servers.proxies.flatMap((proxy, n) => {
      const target = `Cassandra-${n + 1} replies`
      return [dropReplies(proxy, target), dropReplies(proxy, target)]
    }),
    nodeKill(servers.store()),
    nodePause(servers.store()),
    ...topics.map((topic) =>
      deleteTopic(servers.kafka.address, topic.replace('varve', cluster.name)),
    ),
  ]
}
