// What is different between two versions, field by field, told as the server tells it of a plan
// (policy/files/diff.go): entries of a set count each by itself, items of a list go by their id or name.
import type { Change, ObjectChange, Spec, Thing } from '../../api/governance'
import { same } from './put'

interface Leaf {
  path: string
  text: string
  set: boolean
}

function flatten(value: unknown, path: string, all: Leaf[]): void {
  if (value === undefined || value === null || value === false || value === 0 || value === '') return
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== 'object')) {
      for (const item of value) all.push({ path, text: String(item), set: true })
      return
    }
    const order: string[] = []
    for (const [i, item] of value.entries()) {
      const fields = item as Record<string, unknown>
      if (typeof fields.role === 'string') {
        all.push({ path, text: grantText(fields), set: true })
        continue
      }
      const name = String(fields.id ?? fields.name ?? i)
      order.push(name)
      flatten(fields, `${path}[${name}]`, all)
    }
    if (order.length > 0) all.push({ path, text: order.join(', '), set: false })
    return
  }
  if (typeof value === 'object') {
    for (const [name, part] of Object.entries(value)) flatten(part, path ? `${path}.${name}` : name, all)
    return
  }
  all.push({ path, text: String(value), set: false })
}

function grantText(grant: Record<string, unknown>): string {
  const scope = Object.entries((grant.scope ?? {}) as Record<string, string>)
  return [String(grant.role), ...scope.map(([field, text]) => `${field} ${text}`)].join(', ')
}

const leaves = (spec: Spec | undefined): Leaf[] => {
  const all: Leaf[] = []
  flatten(spec, '', all)
  return all
}

function fields(before: Spec | undefined, after: Spec | undefined): ObjectChange['fields'] {
  const was = leaves(before)
  const is = leaves(after)
  const fits = (a: Leaf, b: Leaf) => a.path === b.path && (!a.set || a.text === b.text)
  const all: ObjectChange['fields'] = []
  for (const leaf of is) {
    const had = was.find((w) => fits(leaf, w))
    if (!had) all.push({ field: leaf.path, after: leaf.text })
    else if (had.text !== leaf.text) all.push({ field: leaf.path, before: had.text, after: leaf.text })
  }
  for (const leaf of was) if (!is.some((l) => fits(leaf, l))) all.push({ field: leaf.path, before: leaf.text })
  return all
}

const keyOf = (o: { kind: string; name: string }) => `${o.kind}/${o.name}`

/** diff is what happens to each object between two versions. */
export function diff(before: Thing[], after: Thing[]): ObjectChange[] {
  const was = new Map(before.map((o) => [keyOf(o), o]))
  const is = new Map(after.map((o) => [keyOf(o), o]))
  const all: ObjectChange[] = []
  for (const o of after) {
    const had = was.get(keyOf(o))
    if (!had) all.push({ kind: o.kind, name: o.name, action: 'added', fields: fields(undefined, o.spec) })
    else if (!same(had.spec, o.spec)) {
      all.push({ kind: o.kind, name: o.name, action: 'changed', fields: fields(had.spec, o.spec) })
    }
  }
  for (const o of before) {
    if (!is.has(keyOf(o)))
      all.push({ kind: o.kind, name: o.name, action: 'removed', fields: fields(o.spec, undefined) })
  }
  return all
}

/** changeTo is the change that makes what is there the same as another version. */
export function changeTo(now: Thing[], then: Thing[]): Change {
  const is = new Map(now.map((o) => [keyOf(o), o]))
  const was = new Set(then.map(keyOf))
  return {
    set: then.filter((o) => !same(is.get(keyOf(o))?.spec, o.spec)),
    removed: now.filter((o) => !was.has(keyOf(o))).map(({ kind, name }) => ({ kind, name })),
  }
}
