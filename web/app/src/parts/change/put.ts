// How forms read and write what an object says: by a path, in place, leaving alone all they do not know.
// So a form needs no copy of the object, and what it does not show survives it.
import type { Spec } from '../../api/governance'

export type Path = readonly (string | number)[]

/** Parts that mean something even without a field: they stay until they are taken out as a whole. */
const solid = new Set(['break_glass', 'amendments', 'fallback'])

/** at is what a path leads to. */
export function at(spec: unknown, path: Path): unknown {
  let here: unknown = spec
  for (const step of path) {
    if (typeof here !== 'object' || here === null) return undefined
    here = (here as Record<string | number, unknown>)[step]
  }
  return here
}

/** saysNothing reports whether a value is what a field that is left out means. */
const saysNothing = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === '' ||
  value === false ||
  value === 0 ||
  (Array.isArray(value) && value.length === 0)

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0

/** put is a spec with another value at a path. A value that says nothing takes the field away, and with it the parts around it that have nothing left. */
export function put(spec: Spec, path: Path, value: unknown): Spec {
  return set(spec, path, value) as Spec
}

function set(here: unknown, [step, ...rest]: Path, value: unknown): unknown {
  if (step === undefined) return value
  if (typeof step === 'number') {
    const list = Array.isArray(here) ? here.slice() : []
    list[step] = set(list[step], rest, value)
    return list
  }
  const fields: Record<string, unknown> =
    typeof here === 'object' && here !== null && !Array.isArray(here) ? { ...here } : {}
  const next = set(fields[step], rest, value)
  if (saysNothing(next) || (rest.length > 0 && isEmpty(next) && !solid.has(step))) delete fields[step]
  else fields[step] = next
  return fields
}

/** textOf is a path as the server writes it: steps[0].from. */
export function textOf(path: Path): string {
  let text = ''
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text ? `.${step}` : step
  return text
}

/** same reports whether two values say the same, whatever the order of their fields. */
export function same(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b)
}

function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, part: unknown) =>
      typeof part === 'object' && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).sort(([x], [y]) => (x < y ? -1 : 1)))
        : part,
    ) ?? ''
  )
}
