import { Anchor, Badge, Text } from '@mantine/core'
import { IconUsersGroup } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import type { Governance } from '../../api/governance'
import { usePeople } from '../../parts/governance/names'
import { ofKind, type Typed } from '../../parts/governance/objects'
import { Some } from '../../parts/governance/Some'
import { join } from '../../parts/governance/words'
import { paths } from '../../paths'
import { Empty } from '../../ui/states'
import classes from './Projects.module.css'

interface Props {
  governance: Governance
  text: string
}

/** The tree of teams, each with who leads it, who is in it and what is its own. */
export function TeamTree({ governance, text }: Props) {
  const teams = ofKind(governance, 'Team')
  const names = new Set(teams.map((team) => team.name))
  const children = new Map<string, Typed<'Team'>[]>()
  for (const team of teams) {
    const parent = team.spec.parent && names.has(team.spec.parent) ? team.spec.parent : ''
    children.set(parent, [...(children.get(parent) ?? []), team])
  }
  const fits = (team: Typed<'Team'>): boolean =>
    team.name.includes(text.toLowerCase()) || (children.get(team.name) ?? []).some(fits)
  const roots = (children.get('') ?? []).filter(fits)
  if (roots.length === 0) {
    return (
      <Empty icon={IconUsersGroup} title={text ? 'No team has that name' : 'There is no team yet'}>
        Teams are people, in a tree. Their heads can be asked to decide on what belongs to the team or to teams below
        it.
      </Empty>
    )
  }
  return <Level teams={roots} childrenOf={(name) => (children.get(name) ?? []).filter(fits)} governance={governance} />
}

interface LevelProps {
  teams: Typed<'Team'>[]
  childrenOf: (name: string) => Typed<'Team'>[]
  governance: Governance
}

function Level({ teams, childrenOf, governance }: LevelProps) {
  return (
    <ul className={classes.tree}>
      <Some of={teams}>
        {(team) => {
          const below = childrenOf(team.name)
          return (
            <li key={team.name}>
              <TeamRow team={team} governance={governance} />
              {below.length > 0 && <Level teams={below} childrenOf={childrenOf} governance={governance} />}
            </li>
          )
        }}
      </Some>
    </ul>
  )
}

/** How many people of a team are named; the rest is counted. */
const mostNamed = 6

function TeamRow({ team, governance }: { team: Typed<'Team'>; governance: Governance }) {
  const { nameOf } = usePeople()
  const { heads = [], members = [], description } = team.spec
  const projects = ofKind(governance, 'Project').filter((p) => p.spec.team === team.name)
  const named = (ids: string[]) =>
    join([
      ...ids.slice(0, mostNamed).map(nameOf),
      ...(ids.length > mostNamed ? [`${ids.length - mostNamed} more`] : []),
    ])
  return (
    <div className={classes.team}>
      <div>
        <Anchor component={Link} to={paths.governed('Team', team.name)} fw={600} underline="hover">
          {team.name}
        </Anchor>
        {description && (
          <Text size="sm" c="dimmed">
            {description}
          </Text>
        )}
      </div>
      <Text size="md">
        {heads.length > 0 ? `led by ${named(heads)}` : 'led by nobody'}
        <Text span c="dimmed">
          {members.length > 0 ? `; ${named(members)} in it` : '; nobody in it'}
        </Text>
      </Text>
      <div className={classes.badges}>
        {projects.map((project) => (
          <Badge key={project.name} color="gray">
            {project.name}
          </Badge>
        ))}
      </div>
    </div>
  )
}
