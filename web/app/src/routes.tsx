import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Navigate,
  Outlet,
} from '@tanstack/react-router'
import { paths } from './paths'
import { parseSearch, type Search, stringifySearch } from './search'
import { Gate } from './session/Gate'
import { NotFound } from './shell/NotFound'
import { Shell } from './shell/Shell'
import { Failed, Loading } from './ui/states'

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound })

/** The pages for whoever is signed in, inside the frame. */
const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  component: () => (
    <Gate>
      <Shell />
    </Gate>
  ),
})

const validateSearch = (search: Record<string, unknown>): Search => search as Search

function page<Module extends Record<string, unknown>>(
  path: string,
  load: () => Promise<Module>,
  name: keyof Module & string,
) {
  return createRoute({ getParentRoute: () => inside, path, validateSearch, component: lazyRouteComponent(load, name) })
}

const pages = [
  createRoute({ getParentRoute: () => inside, path: '/', component: () => <Navigate to={paths.inbox()} replace /> }),
  page('/inbox', () => import('./pages/inbox/Inbox'), 'Inbox'),
  page('/requests', () => import('./pages/requests/Requests'), 'Requests'),
  page('/requests/new', () => import('./pages/requests/new/NewRequest'), 'NewRequest'),
  page('/requests/$id', () => import('./pages/requests/RequestDetail'), 'RequestDetail'),
  page('/inventory', () => import('./pages/inventory/Inventory'), 'Inventory'),
  page('/inventory/$id', () => import('./pages/inventory/SecretDetail'), 'SecretDetail'),
  page('/jobs', () => import('./pages/jobs/Jobs'), 'Jobs'),
  page('/jobs/$id', () => import('./pages/jobs/JobDetail'), 'JobDetail'),
  page('/audit', () => import('./pages/audit/Audit'), 'Audit'),
  page('/agents', () => import('./pages/agents/Agents'), 'Agents'),
  page('/agents/$id', () => import('./pages/agents/AgentDetail'), 'AgentDetail'),
  page('/connections', () => import('./pages/connections/Connections'), 'Connections'),
  page('/connections/$name', () => import('./pages/connections/ConnectionDetail'), 'ConnectionDetail'),
  page('/policies', () => import('./pages/policies/Policies'), 'Policies'),
  page('/workflows', () => import('./pages/workflows/Workflows'), 'Workflows'),
  page('/people', () => import('./pages/people/People'), 'People'),
  page('/people/$id', () => import('./pages/people/PersonDetail'), 'PersonDetail'),
  page('/projects', () => import('./pages/projects/Projects'), 'Projects'),
  page('/changes', () => import('./pages/changes/Changes'), 'Changes'),
  page('/changes/$id', () => import('./pages/changes/ChangeDetail'), 'ChangeDetail'),
  page('/integrations', () => import('./pages/integrations/Integrations'), 'Integrations'),
  page('/integrations/$name', () => import('./pages/integrations/IntegrationDetail'), 'IntegrationDetail'),
  page('/integrations/machines/$id', () => import('./pages/integrations/MachineDetail'), 'MachineDetail'),
  page('/settings', () => import('./pages/settings/Settings'), 'Settings'),
  page('/api-reference', () => import('./pages/apireference/ApiReference'), 'ApiReference'),
]

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch,
  component: lazyRouteComponent(() => import('./pages/signin/SignIn'), 'SignIn'),
})

export const router = createRouter({
  routeTree: root.addChildren([inside.addChildren(pages), signIn]),
  parseSearch,
  stringifySearch: stringifySearch as (search: Record<string, unknown>) => string,
  defaultPendingComponent: Loading,
  defaultErrorComponent: ({ error, reset }) => <Failed error={error} again={reset} />,
  defaultPendingMs: 300,
})
