import { Alert, Anchor, Button, Group, Loader, Stack, Text, ThemeIcon, Title } from '@mantine/core'
import { IconCheck, IconCopy, IconEye, IconEyeOff } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { type ReactNode, useState } from 'react'
import { agentQuery, type Invitation } from '../../api/agents'
import { paths } from '../../paths'
import { CodeBlock } from '../../ui/CodeBlock'
import { CopyButton } from '../../ui/CopyButton'
import { Countdown, useNow } from '../../ui/When'
import { stepOf } from './agentWords'
import classes from './Enrolment.module.css'
import { enrolCommand, masked, runCommand } from './enrolCommand'

/** How often one looks for a sign of life while the live line is away, in milliseconds. */
const glance = 5_000

/** How an invited agent becomes one that works, step by step, with what it did already. */
export function Enrolment({ invitation, close }: { invitation: Invitation; close: () => void }) {
  const agent = useQuery({ ...agentQuery(invitation.agent), refetchInterval: glance })
  const step = stepOf(agent.data)
  const ended = Date.parse(invitation.expires) <= useNow()
  const enrolled = step !== 'invited'
  return (
    <Stack gap="lg">
      <Stack component="ol" gap="lg" className={classes.steps}>
        <Step number={1} title="Enrol it on its host" done={enrolled}>
          {enrolled ? (
            <Text c="dimmed">It has taken its token, which is worth nothing any more.</Text>
          ) : ended ? (
            <Alert color="yellow" variant="light" title="The token has ended">
              It was not used in time. Close this, and invite the agent anew.
            </Alert>
          ) : (
            <Stack gap="xs">
              <Text>
                Put the certificate of the control plane's own CA beside it as <code>ca.pem</code>: no other is
                accepted. It is the file <code>ca.pem</code> in the server's data directory; your administrator has it.
                Then run this. The address is the one that you use; take another where the agent reaches it by that.
              </Text>
              <Command token={invitation.token} />
              <Text size="sm" c="dimmed">
                The token is shown here once, works once, and ends in{' '}
                <strong>
                  <Countdown until={invitation.expires} />
                </strong>
                .
              </Text>
            </Stack>
          )}
        </Step>
        <Step number={2} title="Configure and start it" done={step === 'online'}>
          <Text>
            Its configuration names the connections of its cluster, with the addresses and credentials of the stores.
            They stay on its host. Each connection's page here has a sample.
          </Text>
          <CodeBlock
            label="Command that starts the agent"
            action={<CopyButton text={runCommand} what="the command that starts it" />}
          >
            {runCommand}
          </CodeBlock>
        </Step>
        <Step number={3} title="See it come online" done={step === 'online'} waiting={step !== 'online'}>
          <div role="status">
            {step === 'online' ? (
              <Text>
                It is online.{' '}
                <Anchor component={Link} to={paths.agent(invitation.agent)} inherit>
                  See the agent
                </Anchor>
              </Text>
            ) : step === 'revoked' ? (
              <Text>Somebody revoked it.</Text>
            ) : (
              <Text c="dimmed">
                {enrolled ? 'It has enrolled. Waiting for it to start…' : 'Waiting for its first sign of life…'}
              </Text>
            )}
          </div>
        </Step>
      </Stack>
      <Group justify="flex-end">
        <Button variant={step === 'online' ? 'filled' : 'default'} onClick={close}>
          {step === 'online' ? 'Done' : 'Close'}
        </Button>
      </Group>
    </Stack>
  )
}

/** The command with its token, which is masked until somebody wants to see it. */
function Command({ token }: { token: string }) {
  const [shown, setShown] = useState(false)
  const [copied, setCopied] = useState<boolean>()
  const server = window.location.origin
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(enrolCommand(server, token))
      setCopied(true)
    } catch {
      setCopied(false)
      setShown(true) // so that it can be copied by hand
    }
  }
  return (
    <Stack gap="xs">
      <CodeBlock label="Command that enrols the agent">
        {enrolCommand(server, shown ? token : masked(token)).trimStart()}
      </CodeBlock>
      <Group gap="xs">
        <Button
          size="xs"
          leftSection={copied ? <IconCheck size={15} /> : <IconCopy size={15} />}
          onClick={() => void copy()}
        >
          {copied ? 'Copied' : 'Copy the command'}
        </Button>
        <Button
          size="xs"
          variant="default"
          leftSection={shown ? <IconEyeOff size={15} /> : <IconEye size={15} />}
          onClick={() => setShown(!shown)}
          aria-pressed={shown}
        >
          {shown ? 'Hide the token' : 'Show the token'}
        </Button>
        {copied === false && (
          <Text size="sm" role="alert">
            The browser does not let this page copy. Select the command and copy it by hand.
          </Text>
        )}
      </Group>
    </Stack>
  )
}

interface StepProps {
  number: number
  title: string
  done: boolean
  waiting?: boolean
  children: ReactNode
}

function Step({ number, title, done, waiting = false, children }: StepProps) {
  return (
    <li className={classes.step}>
      <ThemeIcon radius="xl" size={26} variant="light" color={done ? 'green' : 'indigo'} aria-hidden>
        {done ? <IconCheck size={15} /> : waiting ? <Loader size={13} /> : <Text size="sm">{number}</Text>}
      </ThemeIcon>
      <Stack gap="xs" className={classes.body}>
        <Title order={3}>
          {title}
          {done && <span className={classes.done}> (done)</span>}
        </Title>
        {children}
      </Stack>
    </li>
  )
}
