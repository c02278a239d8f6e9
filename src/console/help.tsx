import type { ReactElement } from 'react'

const KEYS: readonly (readonly [string, string])[] = [
  ['Tab', 'from node to node, down the river'],
  ['← →', 'along the river'],
  ['↑ ↓', 'across it'],
  ['Enter', 'open the node; again: step into its drawer'],
  ['j k', 'older, newer layer of a repo'],
  ['/', 'find by name'],
  ['g r', 'go to the river'],
  ['g c', 'go to recent commits'],
  ['g j', 'go to recent jobs'],
  ['Esc', 'close, clear'],
  ['?', 'this page'],
]

export function Help(): ReactElement {
  return (
    <>
      <header>
        <p className="kind">help</p>
        <h2>Reading the river</h2>
      </header>
      <p>
        A feed brings records in. A repo keeps them as layers, one a commit, newest on top: thick
        where much changed, hollow where it failed, outlined while it forms. A pipeline is a gate
        that turns layers into others. Egress takes them out.
      </p>
      <section>
        <h3>Keys</h3>
        <dl className="keys">
          {KEYS.map(([key, what]) => (
            <div key={key}>
              <dt>
                {key.split(' ').map((part) => (
                  <kbd key={part}>{part}</kbd>
                ))}
              </dt>
              <dd>{what}</dd>
            </div>
          ))}
        </dl>
      </section>
    </>
  )
}
