import type { Defect } from '../simulation/node.ts'
export const DEFECTS: Record<string, Defect> = {}
