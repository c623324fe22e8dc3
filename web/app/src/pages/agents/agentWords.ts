// The words for an agent. A new state fails to compile until it has some.
import type { Agent, AgentState } from '../../api/agents'
import type { Tone } from '../../parts/requestWords'

export const stateWords: Record<AgentState, { label: string; tone: Tone; says: string }> = {
  invited: { label: 'Invited', tone: 'violet', says: 'Its token was made, and it has not enrolled yet.' },
  expired: { label: 'Expired', tone: 'gray', says: 'Nobody used its invitation in time: invite it anew.' },
  offline: { label: 'Offline', tone: 'yellow', says: 'It is enrolled, and the control plane does not hear it.' },
  online: { label: 'Online', tone: 'green', says: 'It is linked, and takes jobs.' },
  revoked: { label: 'Revoked', tone: 'gray', says: 'It was ended for good.' },
}

/** told is what is known of an agent's state, in a sentence. */
export function told(agent: Pick<Agent, 'state' | 'token_ends' | 'enrolled_at' | 'connected_at'>, now: number): string {
  if (agent.state === 'invited' && Date.parse(agent.token_ends) <= now) {
    return 'Its token ended before it enrolled: invite it anew.'
  }
  if (agent.state === 'offline' && !agent.connected_at) return 'It has enrolled, and was never heard: start it.'
  return stateWords[agent.state].says
}

/** The steps from an invitation to an agent that works. */
export type Step = 'invited' | 'enrolled' | 'online' | 'revoked'

/** stepOf is how far an agent is. One that was online once and is not now is enrolled. */
export function stepOf(agent: Pick<Agent, 'state' | 'enrolled_at'> | undefined): Step {
  if (!agent) return 'invited'
  if (agent.state === 'revoked' || agent.state === 'online') return agent.state
  return agent.enrolled_at ? 'enrolled' : 'invited'
}
