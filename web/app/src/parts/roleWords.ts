// Permissions by what they are about: the part of their name before the dot.
import type { Schema } from '../api/client'

type Listed = Schema['PermissionSentence']

const words: Record<string, string> = {
  agent: 'Agents',
  amendment: 'Changes of the governance',
  audit: 'Audit',
  connection: 'Connections',
  delegation: 'Delegations',
  envelope: 'Values',
  governance: 'Governance',
  grant: 'Roles of people',
  job: 'Jobs',
  machine: 'Machines',
  ownership: 'Ownership',
  person: 'People',
  report: 'Reports',
  request: 'Requests',
  secret: 'Inventory',
  value: 'Values for others',
}

/** areaWords is an area in words; a new one is shown by its name. */
export const areaWords = (area: string): string => words[area] ?? area

/** areas are permissions in groups, requests first, as most people meet them. */
export function areas(permissions: Listed[]): [string, Listed[]][] {
  const groups = new Map<string, Listed[]>()
  for (const p of permissions) {
    const area = p.permission.split('.')[0] ?? ''
    groups.set(area, [...(groups.get(area) ?? []), p])
  }
  const rank = (area: string) => (area === 'request' ? 0 : 1)
  return [...groups].sort(([a], [b]) => rank(a) - rank(b) || areaWords(a).localeCompare(areaWords(b)))
}
