// The port Tables on a real Cassandra, each run in a keyspace of its own.

import { randomBytes } from 'node:crypto'
import { describe } from 'vitest'
import { CassandraTables } from '../../src/tables/adapters/cassandra/tables.ts'
import { CONTRACT_TABLES, tablesContract } from '../contract/tables.ts'
import { cassandraAvailable } from '../services/cassandra.ts'
import { shared } from '../services/shared.ts'

describe.runIf(cassandraAvailable)('a real server', () => {
  tablesContract('Cassandra', async () =>
    CassandraTables.open(
      {
        contactPoints: [await shared('cassandra')],
        datacenter: 'datacenter1',
        keyspace: `contract_${randomBytes(4).toString('hex')}`,
      },
      CONTRACT_TABLES,
    ),
  )
})
