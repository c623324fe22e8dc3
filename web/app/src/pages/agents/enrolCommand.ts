// What somebody types on the agent's host, as cmd/sb-agent takes it.

/** Where an agent keeps its identity, unless told otherwise. */
export const agentDir = '/var/lib/sb-agent'

/**
 * enrolCommand trades the token for an identity. The token goes in by standard input: a file of it would
 * have to be removed again, and other people of the host can read a command's arguments. The space in
 * front keeps it out of the history of most shells.
 */
export function enrolCommand(server: string, token: string): string {
  return [
    ` sb-agent enrol --server ${server} --ca ca.pem \\`,
    `   --dir ${agentDir} --token-file - <<'END'`,
    token,
    'END',
  ].join('\n')
}

/** runCommand starts the agent with its configuration. */
export const runCommand = `sb-agent run --dir ${agentDir} --config /etc/sb-agent/agent.yaml`

/** masked is a token without what is secret of it: its kind, and dots. */
export function masked(token: string): string {
  return `${token.slice(0, 4)}${'•'.repeat(24)}`
}
