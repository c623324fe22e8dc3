/** Every address inside the application is built here. What comes from people is escaped. */
const part = encodeURIComponent

/** A search that is not set is left out. */
function search(of: Record<string, string | string[] | undefined>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(of)) {
    for (const one of value === undefined ? [] : [value].flat()) query.append(name, one)
  }
  return query.size > 0 ? `?${query}` : ''
}

export const paths = {
  inbox: (request?: string) => `/inbox${search({ request })}`,
  requests: () => '/requests',
  request: (id: string, of: { as_of?: string } = {}) => `/requests/${part(id)}${search(of)}`,
  newRequest: (of: { secret?: string; operation?: string; from?: string } = {}) => `/requests/new${search(of)}`,
  inventory: (of: { connection?: string } = {}) => `/inventory${search(of)}`,
  secret: (id: string) => `/inventory/${part(id)}`,
  jobs: () => '/jobs',
  job: (id: string) => `/jobs/${part(id)}`,
  audit: (of: { stream?: string; correlation?: string; actor?: string; secret?: string } = {}) => `/audit${search(of)}`,
  agents: () => '/agents',
  agent: (id: string) => `/agents/${part(id)}`,
  connections: () => '/connections',
  connection: (name: string) => `/connections/${part(name)}`,
  policies: () => '/policies',
  rule: (name: string) => `/policies${search({ rule: name })}`,
  workflows: () => '/workflows',
  workflow: (name: string) => `/workflows${search({ workflow: name })}`,
  people: () => '/people',
  person: (id: string) => `/people/${part(id)}`,
  projects: () => '/projects',
  governed: (kind: 'Project' | 'Binding' | 'Team' | 'Group', name: string) =>
    `/projects${search({ edit: `${kind}/${name}` })}`,
  newBinding: (project: string, environment: string) => `/projects${search({ new: 'Binding', project, environment })}`,
  changes: () => '/changes',
  changesOf: (kind: string, name: string) => `/changes${search({ object: `${kind}/${name}` })}`,
  change: (amendmentOrVersion: string) => `/changes/${part(amendmentOrVersion)}`,
  integrations: () => '/integrations',
  installation: () => `/integrations${search({ show: 'installation' })}`,
  integration: (name: string) => `/integrations/${part(name)}`,
  machines: () => `/integrations${search({ show: 'machines' })}`,
  machine: (id: string) => `/integrations/machines/${part(id)}`,
  settings: () => '/settings',
  api: (operation?: string) => `/api-reference${search({ operation })}`,
  signIn: (of: { ended?: 'everywhere' } = {}) => `/sign-in${search(of)}`,
} as const
