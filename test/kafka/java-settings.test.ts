import { expect, test } from 'vitest'
import { isVarveError } from '../../src/base/errors.ts'
import { fromJavaSettings } from '../../src/kafka/java-settings.ts'
import { parseProperties } from '../../src/kafka/properties.ts'

const files: Readonly<Record<string, string>> = { 'ca.pem': 'CA', 'own.pem': 'KEY CERT' }

const connect = (text: string): ReturnType<typeof fromJavaSettings> =>
  fromJavaSettings(parseProperties(text), (path) => {
    const found = files[path]
    return found === undefined ? Promise.reject(new Error(`no ${path}`)) : Promise.resolve(found)
  })

async function refusal(text: string): Promise<string> {
  const error: unknown = await connect(text).catch((thrown: unknown) => thrown)
  expect(isVarveError(error, 'INVALID_OPTION')).toBe(true)
  return String(error)
}

// What java.util.Properties makes of the same text, from its documentation.
test('the forms of a properties file', () => {
  const text = [
    '# comment',
    '! comment too \\',
    'a=1',
    '  b : two words  ',
    'c three',
    'd',
    'e=x\\',
    '   y\\\\',
    'f\\ g\\=\\:=\\u00e9\\t\\n\\q',
    'a==last',
    'h=C:\\\\dir\\',
  ].join('\n')
  expect([...parseProperties(text.replace('c three', 'c three\r'))]).toEqual([
    ['a', '=last'],
    ['b', 'two words  '],
    ['c', 'three'],
    ['d', ''],
    ['e', 'xy\\'],
    ['f g=:', 'é\t\nq'],
    ['h', 'C:\\dir'],
  ])
})

test('a login by SCRAM over TLS, from what a Java client has', async () => {
  const options = await connect(`
bootstrap.servers=a:9093, b:9093
client.id=me
security.protocol=SASL_SSL
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\
  username="us\\\\"er" password='p;a"s=s' ;
ssl.truststore.type=PEM
ssl.truststore.location=ca.pem
ssl.keystore.type=PEM
ssl.keystore.location=own.pem
ssl.key.password=secret
request.timeout.ms=5000
socket.connection.setup.timeout.ms=2000
`)
  expect(options).toEqual({
    brokers: ['a:9093', 'b:9093'],
    clientId: 'me',
    requestTimeoutMs: 5000,
    connectTimeoutMs: 2000,
    ssl: { ca: ['CA'], key: 'KEY CERT', cert: 'KEY CERT', passphrase: 'secret' },
    sasl: { mechanism: 'scram-sha-512', username: 'us"er', password: 'p;a"s=s' },
  })
})

test('no settings: plain', async () => {
  expect(await connect('bootstrap.servers=a:1')).toEqual({ brokers: ['a:1'] })
})

test('the name of a broker is compared unless told otherwise', async () => {
  expect(await connect('security.protocol=SSL')).toMatchObject({ ssl: {} })
  const off = await connect('security.protocol=SSL\nssl.endpoint.identification.algorithm=')
  expect(off.ssl).toHaveProperty('checkServerIdentity')
})

const JAAS = 'sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required '

test.each([
  ['security.protocol=TLS', 'security.protocol'],
  ['security.protocl=SSL', 'did you mean "security.protocol"'],
  ['acks=all', 'says nothing about how to connect'],
  ['security.protocol=SSL\nssl.truststore.location=a.jks', 'export it as PEM'],
  ['security.protocol=SSL\nssl.truststore.type=PKCS12', 'export it as PEM'],
  ['ssl.truststore.password=x', 'PEM stores have none'],
  ['security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location=gone', 'no gone'],
  ['security.protocol=SSL\nssl.keystore.key=x', 'go together'],
  ['security.protocol=SASL_SSL', 'sasl.mechanism'],
  ['security.protocol=SASL_SSL\nsasl.mechanism=GSSAPI', '"GSSAPI" is none of PLAIN'],
  ['security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER', '"OAUTHBEARER" is none of PLAIN'],
  ['sasl.kerberos.service.name=kafka', 'only logins by PLAIN and SCRAM'],
  ['security.protocol=SASL_SSL\nsasl.mechanism=PLAIN', 'username or password is missing'],
  [`security.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-256\n${JAAS};`, 'is not the login of'],
  [`security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n${JAAS}username="a"`, 'not of the form'],
  ['ssl.truststore.type=PEM', 'set SSL or SASL_SSL'],
  [`security.protocol=SSL\n${JAAS};`, 'set SASL_SSL'],
  ['request.timeout.ms=soon', 'not a number of milliseconds'],
])('refused: %s', async (text, words) => {
  expect(await refusal(text)).toContain(words)
})

test('no secret is repeated in a refusal', async () => {
  const text = `security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n${JAAS}password="hunter2" oh`
  expect(await refusal(text)).not.toContain('hunter2')
})
