/** Every page that is about no object in particular. Those of one object are visited by the tests of their area. */
export const pages = [
  { name: 'Inbox', path: '/inbox' },
  { name: 'Requests', path: '/requests' },
  { name: 'New request', path: '/requests/new' },
  { name: 'Inventory', path: '/inventory' },
  { name: 'Jobs', path: '/jobs' },
  { name: 'Agents', path: '/agents' },
  { name: 'Connections', path: '/connections' },
  { name: 'Audit', path: '/audit' },
  { name: 'Policies', path: '/policies' },
  { name: 'Workflows', path: '/workflows' },
  { name: 'Roles & people', path: '/people' },
  { name: 'Projects & teams', path: '/projects' },
  { name: 'Changes', path: '/changes' },
  { name: 'Integrations', path: '/integrations' },
  { name: 'API reference', path: '/api-reference' },
  { name: 'Settings', path: '/settings' },
] as const
