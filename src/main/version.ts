import manifest from '../../package.json' with { type: 'json' }

/** Of the package, as released. */
export const VERSION: string = manifest.version
