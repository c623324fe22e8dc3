// What followed from what. Facts name neither their cause nor their effects, but a correlation joins
// all that one intention set in motion, and jobs, envelopes and streams say what a fact goes on with.
import type { FactEvent } from '../../parts/factWords'

/** One command, with the facts that it became. */
export interface CommandNode {
  command: string
  facts: FactNode[]
}

/** One fact, with the commands that go on with what it began. */
export interface FactNode {
  event: FactEvent
  next: CommandNode[]
}

/** threads are what a fact may go on with, the closest first. */
function threads(event: FactEvent): string[] {
  const data = event.data as Record<string, unknown>
  const named = ['envelope', 'job', 'scan', 'amendment'].flatMap((field) =>
    typeof data[field] === 'string' ? [String(data[field])] : [],
  )
  // What an agent does is about the job, also where it does not say so.
  const work = typeof data.job === 'string' || event.actor.startsWith('agent:') ? [`work ${event.stream}`] : []
  return [...named, ...work, event.stream]
}

/** inOrder sorts facts as the log has them, each once. */
export function inOrder(events: FactEvent[]): FactEvent[] {
  const each = new Map(events.map((event) => [event.id, event]))
  return [...each.values()].sort((a, b) => a.seq - b.seq || a.index - b.index)
}

/** treeOf puts each command under the fact that began what it goes on with, or at the top. */
export function treeOf(events: FactEvent[]): CommandNode[] {
  const top: CommandNode[] = []
  const commands = new Map<string, CommandNode>()
  const began = new Map<string, FactNode>()
  for (const event of inOrder(events)) {
    const fact: FactNode = { event, next: [] }
    const own = threads(event)
    let node = commands.get(event.command)
    if (!node) {
      node = { command: event.command, facts: [] }
      commands.set(event.command, node)
      const before = own.map((thread) => began.get(thread)).find((found) => found !== undefined)
      if (before) before.next.push(node)
      else top.push(node)
    }
    node.facts.push(fact)
    for (const thread of own) if (!began.has(thread)) began.set(thread, fact)
  }
  return top
}
