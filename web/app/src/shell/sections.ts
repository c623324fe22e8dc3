import {
  IconApi,
  IconBuildingCommunity,
  IconCpu,
  IconGitBranch,
  IconHistory,
  IconInbox,
  IconKey,
  IconListCheck,
  IconPlugConnected,
  type IconProps,
  IconRefreshDot,
  IconScale,
  IconSend,
  IconSettings,
  IconUsers,
  IconWebhook,
} from '@tabler/icons-react'
import type { ComponentType } from 'react'
import { paths } from '../paths'
import type { Permission } from '../session/who'

export interface Section {
  label: string
  to: string
  icon: ComponentType<IconProps>
  /** Who may not: the entry stays, and says why. Without one, everybody may. */
  permission?: Permission
  doing?: string
  /** The second key of "g …". */
  go?: string
}

/** The navigation, in groups. */
export const sections: { label: string; items: Section[] }[] = [
  {
    label: 'Work',
    items: [
      {
        label: 'Inbox',
        to: paths.inbox(),
        icon: IconInbox,
        permission: 'request.list',
        doing: 'see requests',
        go: 'i',
      },
      {
        label: 'Requests',
        to: paths.requests(),
        icon: IconSend,
        permission: 'request.list',
        doing: 'see requests',
        go: 'r',
      },
      {
        label: 'Inventory',
        to: paths.inventory(),
        icon: IconKey,
        permission: 'secret.list',
        doing: 'see the inventory',
        go: 'v',
      },
    ],
  },
  {
    label: 'Operate',
    items: [
      { label: 'Jobs', to: paths.jobs(), icon: IconRefreshDot, permission: 'job.list', doing: 'see jobs', go: 'j' },
      { label: 'Agents', to: paths.agents(), icon: IconCpu, permission: 'agent.list', doing: 'see agents', go: 'g' },
      {
        label: 'Connections',
        to: paths.connections(),
        icon: IconPlugConnected,
        permission: 'connection.list',
        doing: 'see connections',
        go: 'c',
      },
      {
        label: 'Audit',
        to: paths.audit(),
        icon: IconHistory,
        permission: 'audit.read',
        doing: 'read the audit',
        go: 'a',
      },
    ],
  },
  {
    label: 'Govern',
    items: [
      {
        label: 'Policies',
        to: paths.policies(),
        icon: IconScale,
        permission: 'governance.read',
        doing: 'read the policies',
        go: 'p',
      },
      {
        label: 'Workflows',
        to: paths.workflows(),
        icon: IconGitBranch,
        permission: 'governance.read',
        doing: 'read the workflows',
        go: 'w',
      },
      {
        label: 'Roles & people',
        to: paths.people(),
        icon: IconUsers,
        permission: 'person.list',
        doing: 'see people',
        go: 'o',
      },
      {
        label: 'Projects & teams',
        to: paths.projects(),
        icon: IconBuildingCommunity,
        permission: 'governance.read',
        doing: 'read projects and teams',
        go: 't',
      },
      {
        label: 'Changes',
        to: paths.changes(),
        icon: IconListCheck,
        permission: 'governance.read',
        doing: 'read changes of the governance',
        go: 'h',
      },
    ],
  },
  {
    label: 'More',
    items: [
      { label: 'Integrations', to: paths.integrations(), icon: IconWebhook, go: 'n' },
      { label: 'API reference', to: paths.api(), icon: IconApi, go: 'x' },
      { label: 'Settings', to: paths.settings(), icon: IconSettings, go: 's' },
    ],
  },
]
