// A container image made of files of this machine, without a registry and without an engine: one
// layer, in the archive form that `docker load` and containerd take.

import { createHash } from 'node:crypto'
import { createReadStream, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { run } from '../process.ts'

export interface ImageContent {
  /** A folder; its content becomes the root of the image. */
  readonly root?: string
  /** Files and folders: path in the image → path on this machine. Links inside stay links. */
  readonly copies?: Readonly<Record<string, string>>
  /** Programs with the shared libraries they are linked to: path in the image → path here. */
  readonly bins?: Readonly<Record<string, string>>
  /** A static busybox with a link for each of its commands, `sh` among them. */
  readonly busybox?: boolean
  /** Besides a usual PATH. */
  readonly env?: Readonly<Record<string, string>>
  /** The folder that processes begin in; `/` when not given. */
  readonly cwd?: string
  /** Number or name, as `USER` in a Containerfile; root when not given. */
  readonly user?: string
  readonly entrypoint?: readonly string[]
}

const SYSTEM_FOLDERS = ['bin', 'dev', 'etc', 'proc', 'sys', 'tmp', 'usr/bin']

/** Writes the image `name` to `file`. The same content gives the same layer. */
export async function writeImage(name: string, content: ImageContent, file: string): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'varve-image-'))
  try {
    const root = join(scratch, 'root')
    await layOut(root, content)
    const layer = join(scratch, 'layer.tar')
    const same = ['--sort=name', '--mtime=@0', '--numeric-owner', '--owner=0', '--group=0']
    await run('tar', ['-C', root, ...same, '-cf', layer, '.'])
    const config = {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: {
        Env: Object.entries({ PATH: '/usr/local/bin:/usr/bin:/bin', ...content.env }).map(
          ([key, value]) => `${key}=${value}`,
        ),
        Entrypoint: content.entrypoint ?? null,
        WorkingDir: content.cwd ?? '/',
        User: content.user ?? '',
      },
      rootfs: { type: 'layers', diff_ids: [`sha256:${await sha256(layer)}`] },
    }
    const manifest = [{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }]
    writeFileSync(join(scratch, 'config.json'), JSON.stringify(config))
    writeFileSync(join(scratch, 'manifest.json'), JSON.stringify(manifest))
    await run('tar', ['-C', scratch, '-cf', file, 'manifest.json', 'config.json', 'layer.tar'])
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function layOut(root: string, content: ImageContent): Promise<void> {
  for (const folder of SYSTEM_FOLDERS) mkdirSync(join(root, folder), { recursive: true })
  chmodSync(join(root, 'tmp'), 0o1777)
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/:/bin/sh\n')
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n')
  if (content.root !== undefined) await run('cp', ['-a', `${content.root}/.`, root])
  for (const [to, from] of Object.entries(content.copies ?? {})) await copy(root, from, to)
  for (const [to, from] of Object.entries(content.bins ?? {})) await copyProgram(root, from, to)
  if (content.busybox === true) await addBusybox(root)
}

/** A link that is named itself is followed; links inside of a folder stay. */
async function copy(root: string, from: string, to: string): Promise<void> {
  mkdirSync(join(root, dirname(to)), { recursive: true })
  await run('cp', ['-a', '-H', '--reflink=auto', '-T', from, join(root, to)])
}

async function copyProgram(root: string, from: string, to: string): Promise<void> {
  await copy(root, from, to)
  // `ldd` fails on a program that is linked to nothing.
  const linked = await run('ldd', [from]).catch(() => '')
  for (const [library] of linked.matchAll(/\/[^\s:]+(?= \()/g))
    if (!existsSync(join(root, library))) await copy(root, library, library)
}

async function addBusybox(root: string): Promise<void> {
  await copy(root, '/usr/bin/busybox', '/bin/busybox')
  const commands = (await run('busybox', ['--list'])).split('\n').filter((name) => name !== '')
  for (const name of commands) {
    const link = join(root, 'bin', name)
    if (!existsSync(link)) symlinkSync('busybox', link)
  }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
