import type { Operation } from './contract'

/** find is the operations in which every word of a text is met. */
export function find(operations: Operation[], text: string): Operation[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return operations
  return operations.filter(({ id, tag, method, path, summary, permission }) => {
    const all = `${method} ${path} ${summary} ${id} ${tag} ${permission}`.toLowerCase()
    return words.every((word) => all.includes(word))
  })
}

/** grouped is operations by their tags, in the order that they come in. */
export function grouped(operations: Operation[]): [tag: string, Operation[]][] {
  const groups = new Map<string, Operation[]>()
  for (const operation of operations) groups.set(operation.tag, [...(groups.get(operation.tag) ?? []), operation])
  return [...groups]
}
