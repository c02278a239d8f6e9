import { MemoryTables } from '../../src/tables/adapters/memory.ts'
import { tablesContract } from '../contract/tables.ts'

tablesContract('memory', () => Promise.resolve(new MemoryTables()))
