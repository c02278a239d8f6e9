// Keeps the river of a project fresh for everybody who looks at it.
//
// One fold a project while somebody watches. Entries mark nodes; four times a second the marked nodes
// are drawn and sent if they differ from what was sent before, so a busy node costs four messages a
// second however fast its log runs. What only hosts know (rates, lag, progress) is looked at once a
// second.

import type { Graph, GraphEvent, GraphNode } from '../api/graph.ts'
import { Channel } from '../base/async.ts'
import type { Commit, Job } from '../model/entities.ts'
import { commitKey } from '../model/entities.ts'
import type { VersionEntry } from '../versions/versions.ts'
import type { Context } from './context.ts'
import { requireProject } from './find.ts'
import { poolOf } from './hindrances.ts'
import { foldRiver, loadRiver } from './river-model.ts'
import type { RiverModel } from './river-model.ts'
import { graphOf, nodeOf, recentCommit, recentJob } from './river-nodes.ts'
import type { LiveWords } from './river-nodes.ts'

const TICK_MS = 250
const HOSTS_EVERY_TICKS = 4
/** Messages a reader may be behind before its stream ends; it comes back and gets the whole graph. */
const MAX_BEHIND = 1000

export interface Drawn {
  readonly seq: number
  readonly event: GraphEvent
}

interface Watcher {
  readonly channel: Channel<Drawn>
  /** Messages sent and not yet taken. */
  behind: number
}

class River {
  readonly #context: Context
  readonly #project: string
  readonly #watchers = new Set<Watcher>()
  readonly #stop = new AbortController()
  readonly #sent = new Map<string, string>()
  readonly #waiting = new Map<string, string>()
  readonly #marked = new Set<string>()
  readonly #commits = new Map<string, Commit>()
  readonly #jobs = new Map<string, Job>()
  #shape = false
  /** Those who watch or are about to. */
  #holders = 0
  #model: RiverModel | undefined
  readonly ready: Promise<void>

  constructor(context: Context, project: string) {
    this.#context = context
    this.#project = project
    this.ready = this.#load()
    void this.ready.then(
      () => this.#run(),
      () => undefined,
    )
  }

  async #load(): Promise<void> {
    const early: VersionEntry[] = []
    let take = (entry: VersionEntry): void => void early.push(entry)
    const stop = await this.#context.tails.listen(this.#project, (entry) => take(entry))
    this.#stop.signal.addEventListener('abort', stop, { once: true })
    const model = await loadRiver(this.#context.versions, this.#project)
    take = (entry) => this.#fold(model, entry)
    for (const entry of early) take(entry)
    this.#model = model
    for (const name of model.pipelines.keys()) await this.#askWaiting(name)
    this.#remember(this.graph())
  }

  #fold(model: RiverModel, entry: VersionEntry): void {
    const touched = foldRiver(model, entry)
    this.#shape ||= touched.shape
    for (const key of touched.keys) this.#marked.add(key)
    for (const commit of touched.commits) this.#commits.set(commitKey(commit), commit)
    for (const job of touched.jobs) this.#jobs.set(`${job.pipeline} ${job.commit.id}`, job)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    for (let tick = 1; !signal.aborted; tick++) {
      await this.#context.clock.sleep(TICK_MS, signal)
      if (signal.aborted) return
      try {
        if (tick % HOSTS_EVERY_TICKS === 0) this.#markHosts()
        await this.#draw()
      } catch {
        // A read failed; what is marked stays marked for the next tick.
      }
    }
  }

  #markHosts(): void {
    const model = this.#model
    if (!model) return
    for (const name of model.spouts.keys()) this.#marked.add(`feed:${name}`)
    for (const name of model.egresses.keys()) this.#marked.add(`egress:${name}`)
    for (const name of model.pipelines.keys()) this.#marked.add(`pipeline:${name}`)
  }

  async #askWaiting(pipeline: string): Promise<void> {
    const words = await this.#context.pipelines.waitingFor(this.#project, pipeline)
    if (words === undefined) this.#waiting.delete(pipeline)
    else this.#waiting.set(pipeline, words)
  }

  async #draw(): Promise<void> {
    const model = this.#model
    if (!model) return
    for (const key of this.#marked)
      if (key.startsWith('pipeline:')) await this.#askWaiting(key.slice('pipeline:'.length))
    // From here on synchronous: what is drawn is one state.
    if (this.#shape) {
      const graph = this.graph()
      this.#remember(graph)
      this.#forget()
      return this.#send({ type: 'graph', graph })
    }
    for (const key of this.#marked) {
      const node = nodeOf(model, key, this.#live)
      if (node && this.#isNews(node)) this.#send({ type: 'node', node })
    }
    for (const commit of this.#commits.values())
      this.#send({ type: 'commit', commit: recentCommit(commit) })
    for (const job of this.#jobs.values()) this.#send({ type: 'job', job: recentJob(job) })
    this.#forget()
  }

  #forget(): void {
    this.#shape = false
    this.#marked.clear()
    this.#commits.clear()
    this.#jobs.clear()
  }

  #isNews(node: GraphNode): boolean {
    const text = JSON.stringify(node)
    if (this.#sent.get(node.key) === text) return false
    this.#sent.set(node.key, text)
    return true
  }

  #remember(graph: Graph): void {
    this.#sent.clear()
    for (const node of graph.nodes) this.#sent.set(node.key, JSON.stringify(node))
  }

  #send(event: GraphEvent): void {
    const seq = this.#model?.seq ?? 0
    for (const watcher of this.#watchers) {
      if (++watcher.behind > MAX_BEHIND) watcher.channel.close()
      else void watcher.channel.push({ seq, event })
    }
  }

  readonly #live: LiveWords = {
    spout: (name) => this.#context.spouts.status(this.#project, name),
    egress: (name) => this.#context.egresses.status(this.#project, name),
    progress: (name) => this.#context.pipelines.progress(this.#project, name),
    waitingFor: (name) => this.#waiting.get(name),
    pool: (name) => poolOf(this.#context.pools, this.#project, name),
  }

  graph(): Graph {
    if (!this.#model) throw new Error('the river is not loaded')
    return graphOf(this.#model, this.#live)
  }

  /** Says that somebody is about to watch, before it is ready. */
  hold(): void {
    this.#holders++
  }

  watch(): Watcher {
    const watcher: Watcher = { channel: new Channel<Drawn>(MAX_BEHIND), behind: 1 }
    const graph = this.graph()
    void watcher.channel.push({ seq: graph.seq, event: { type: 'graph', graph } })
    this.#watchers.add(watcher)
    return watcher
  }

  /** @returns whether somebody still watches */
  leave(watcher: Watcher): boolean {
    this.#watchers.delete(watcher)
    watcher.channel.close()
    return --this.#holders > 0
  }

  close(): void {
    this.#stop.abort()
    for (const { channel } of this.#watchers) channel.close()
  }
}

export class Rivers {
  readonly #context: Context
  readonly #closing: AbortSignal
  readonly #rivers = new Map<string, River>()

  constructor(context: Context, closing: AbortSignal) {
    this.#context = context
    this.#closing = closing
    closing.addEventListener('abort', () => {
      for (const river of this.#rivers.values()) river.close()
    })
  }

  /** The river as it is now; from the fold when somebody watches, else from rows. */
  async graph(project: string): Promise<Graph> {
    await requireProject(this.#context.versions, project)
    const running = this.#rivers.get(project)
    if (running) {
      await running.ready
      return running.graph()
    }
    const river = new River(this.#context, project)
    try {
      await river.ready
      return river.graph()
    } finally {
      river.close()
    }
  }

  /** The whole graph, then what changes, until the signal. */
  async *watch(project: string, signal: AbortSignal): AsyncGenerator<Drawn> {
    await requireProject(this.#context.versions, project)
    let river = this.#rivers.get(project)
    if (!river) {
      river = new River(this.#context, project)
      this.#rivers.set(project, river)
    }
    river.hold()
    try {
      await river.ready
    } catch (error) {
      this.#rivers.delete(project)
      river.close()
      throw error
    }
    const watcher = river.watch()
    const close = (): void => watcher.channel.close()
    signal.addEventListener('abort', close, { once: true })
    if (signal.aborted) close()
    try {
      for await (const drawn of watcher.channel) {
        watcher.behind--
        yield drawn
      }
    } finally {
      signal.removeEventListener('abort', close)
      if (!river.leave(watcher) && !this.#closing.aborted) {
        river.close()
        this.#rivers.delete(project)
      }
    }
  }
}
