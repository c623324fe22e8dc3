// The shapes of what objects of the governance say, as docs/reference/governance.md has them. Forms go by
// them; what a newer server says besides is kept, not understood.
import type { Approvers, Governance, Kind, Scope, Spec, Thing } from '../../api/governance'

export interface Rule {
  description?: string
  disabled?: boolean
  priority?: number
  scope?: Scope
  operations?: string[]
  when?: string
  effect?: 'deny' | 'require' | 'reveal'
  workflow?: string
  reveal_ttl_seconds?: number
}

export interface Step {
  id?: string
  approvals?: number
  from?: Approvers
  remind_after_seconds?: number
  escalate_after_seconds?: number
  fallback?: Approvers
}

export interface Workflow {
  description?: string
  steps?: Step[]
  veto?: Approvers
  delegation?: boolean
  step_up?: { approve?: boolean; reveal?: boolean }
  justification?: { min_length?: number; pattern?: string; ticket?: string }
  pending_ttl_seconds?: number
  approval_ttl_seconds?: number
  reveal_ttl_seconds?: number
  reapprove?: string
  break_glass?: { from?: Approvers; review?: Approvers; review_within_seconds?: number; min_length?: number }
}

export interface Team {
  description?: string
  parent?: string
  members?: string[]
  heads?: string[]
}

export interface Grant {
  role: string
  scope?: Scope
}

export interface Group {
  description?: string
  members?: string[]
  claim?: string
  grants?: Grant[]
}

export interface Environment {
  name?: string
  kind?: 'prod' | 'non-prod'
  description?: string
}

export interface Project {
  description?: string
  team?: string
  environments?: Environment[]
}

export interface Binding {
  connection?: string
  prefix?: string
  project?: string
  environment?: string
  operations?: string[]
  keys?: string[]
}

export interface Role {
  description?: string
  permissions?: string[]
}

export interface Settings {
  amendments?: { kinds?: Kind[]; approvals?: number; from?: Approvers }
  step_up?: string[]
  step_up_fresh_seconds?: number
}

interface Shapes {
  Role: Role
  Team: Team
  Group: Group
  Project: Project
  Binding: Binding
  Workflow: Workflow
  Rule: Rule
  Settings: Settings
}

/** An object of a kind whose shape is known. */
export interface Typed<K extends Kind> {
  kind: K
  name: string
  spec: Shapes[K]
}

/** ofKind are the objects of one kind, by name. */
export function ofKind<K extends Kind>(g: Governance, kind: K): Typed<K>[] {
  return g.objects.filter((o) => o.kind === kind) as unknown as Typed<K>[]
}

export const namesOf = (g: Governance, kind: Kind): string[] =>
  g.objects.filter((o) => o.kind === kind).map((o) => o.name)

export const find = (g: Governance, kind: Kind, name: string): Thing | undefined =>
  g.objects.find((o) => o.kind === kind && o.name === name)

/** What a new object of a kind begins with. */
export const blank: Record<Kind, Spec> = {
  Role: { permissions: [] },
  Team: {},
  Group: {},
  Project: { environments: [{ name: 'prod', kind: 'prod' }] },
  Binding: { operations: ['read'] },
  Workflow: { steps: [{ id: 'approve', approvals: 1, from: { roles: ['approver'] } }] },
  Rule: { effect: 'require' },
  Settings: {},
}

/** A kind in words. */
export const kindWords: Record<Kind, { one: string; many: string }> = {
  Role: { one: 'role', many: 'roles' },
  Team: { one: 'team', many: 'teams' },
  Group: { one: 'group', many: 'groups' },
  Project: { one: 'project', many: 'projects' },
  Binding: { one: 'binding', many: 'bindings' },
  Workflow: { one: 'workflow', many: 'workflows' },
  Rule: { one: 'rule', many: 'rules' },
  Settings: { one: 'settings', many: 'settings' },
}

/** "the rule payments-prod", "the settings". */
export const told = (kind: Kind, name: string): string =>
  kind === 'Settings' ? 'the settings' : `the ${kindWords[kind].one} ${name}`
