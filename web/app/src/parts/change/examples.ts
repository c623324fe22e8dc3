// One object of each kind with every field that it has, for tests: what forms must give back as they got it.
import type { Thing } from '../../api/governance'

const everybody = {
  people: ['u_0123456789abcdefghjkmnpqrs'],
  groups: ['security'],
  roles: ['approver'],
  team_heads: true,
  owners: true,
}
const placeless = { people: ['u_0123456789abcdefghjkmnpqrs'], groups: ['security'], roles: ['approver'] }
const scope = {
  team: 'payments',
  project: 'shop',
  environment: 'live',
  environment_kind: 'prod',
  connection: 'file',
  prefix: 'prod/',
}

export const examples: Thing[] = [
  { kind: 'Role', name: 'release', spec: { description: 'ships', permissions: ['request.create', 'secret.list'] } },
  {
    kind: 'Team',
    name: 'billing',
    spec: { description: 'bills', parent: 'payments', members: everybody.people, heads: everybody.people },
  },
  {
    kind: 'Group',
    name: 'security',
    spec: {
      description: 'looks twice',
      members: everybody.people,
      claim: 'sec-team',
      grants: [{ role: 'approver', scope }, { role: 'auditor' }],
    },
  },
  {
    kind: 'Project',
    name: 'shop',
    spec: {
      description: 'sells',
      team: 'billing',
      environments: [
        { name: 'live', kind: 'prod', description: 'the real one' },
        { name: 'staging', kind: 'non-prod' },
      ],
    },
  },
  {
    kind: 'Binding',
    name: 'shop-live',
    spec: {
      connection: 'file',
      prefix: 'prod/',
      project: 'shop',
      environment: 'live',
      operations: ['patch', 'read'],
      keys: ['password'],
    },
  },
  {
    kind: 'Workflow',
    name: 'production',
    spec: {
      description: 'two pairs of eyes',
      steps: [
        {
          id: 'team',
          approvals: 2,
          from: everybody,
          remind_after_seconds: 600,
          escalate_after_seconds: 3600,
          fallback: everybody,
        },
        { id: 'security', approvals: 1, from: { groups: ['security'] } },
      ],
      veto: everybody,
      delegation: true,
      step_up: { approve: true, reveal: true },
      justification: { min_length: 20, pattern: 'because', ticket: 'OPS-[0-9]+' },
      pending_ttl_seconds: 86400,
      approval_ttl_seconds: 3600,
      reveal_ttl_seconds: 300,
      reapprove: 'touched_keys',
      break_glass: { from: placeless, review: everybody, review_within_seconds: 86400, min_length: 20 },
    },
  },
  {
    kind: 'Rule',
    name: 'shop-live',
    spec: {
      description: 'money',
      disabled: true,
      priority: -5,
      scope,
      operations: ['read'],
      when: '!requester.machine',
      effect: 'require',
      workflow: 'production',
      reveal_ttl_seconds: 60,
    },
  },
  {
    kind: 'Settings',
    name: 'installation',
    spec: {
      amendments: { kinds: ['Role', 'Rule'], approvals: 2, from: placeless },
      step_up: ['request.approve'],
      step_up_fresh_seconds: 600,
    },
  },
]
