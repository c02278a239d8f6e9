#!/usr/bin/env node
// What is started.

import './process.mjs'
await import('./cli.ts')
