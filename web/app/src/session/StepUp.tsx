import { Alert, Button, Divider, Group, Modal, Stack, Tabs, Text, TextInput } from '@mantine/core'
import { IconFingerprint } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { answer, api, newKey, type Schema } from '../api/client'
import { factorsQuery } from '../api/me'
import { codeOf, sentence } from '../api/problem'
import { paths } from '../paths'
import { Failed, Loading } from '../ui/states'
import { useAttempt } from '../ui/useAttempt'
import { stepUp } from './stepUp'

type Proof = Schema['StepUp']

/** Asks for a second factor, and says that it was proved. */
export function StepUp() {
  return (
    <Modal opened onClose={stepUp.dismissed} title="Confirm that it is you" size="sm">
      <Ways />
    </Modal>
  )
}

function Ways() {
  const factors = useQuery({ ...factorsQuery, staleTime: 0 })
  const { busy, error, attempt } = useAttempt()
  if (factors.isPending) return <Loading what="Looking which second factors you have" />
  if (factors.error) return <Failed error={factors.error} again={() => void factors.refetch()} />

  /** prove sends one proof. It counts once, so each has a key of its own. */
  const prove = async (make: () => Promise<Proof>) => {
    await attempt(async () => {
      const body = await make()
      await answer(api.POST('/me/step-up', { body, params: { header: { 'Idempotency-Key': newKey() } } }))
      stepUp.proved()
    })
  }
  const kinds = new Set(factors.data.items.map((factor) => factor.kind))
  if (kinds.size === 0) return <NoFactor />
  return (
    <Stack>
      <Text>This needs a second factor that you proved a moment ago. What you were doing goes on after it.</Text>
      {error !== undefined && (
        <Alert color="red" variant="light" role="alert">
          {why(error)}
        </Alert>
      )}
      {kinds.has('passkey') && (
        <Button
          leftSection={<IconFingerprint size={18} />}
          onClick={() => void prove(askPasskey)}
          loading={busy && !kinds.has('totp')}
          disabled={busy}
          data-autofocus={!kinds.has('totp') || undefined}
          fullWidth
        >
          Use a passkey
        </Button>
      )}
      {kinds.has('passkey') && (kinds.has('totp') || factors.data.recovery_codes > 0) && <Divider label="or" />}
      <Codes app={kinds.has('totp')} recovery={factors.data.recovery_codes} busy={busy} prove={prove} />
    </Stack>
  )
}

interface CodesProps {
  app: boolean
  recovery: number
  busy: boolean
  prove: (make: () => Promise<Proof>) => Promise<void>
}

function Codes({ app, recovery, busy, prove }: CodesProps) {
  if (!app && recovery === 0) return null
  const code = (
    <Code
      label="Code of your authenticator app"
      mode="numeric"
      most={10}
      focus={app}
      busy={busy}
      send={(text) => prove(async () => ({ totp_code: text }))}
    />
  )
  const spare = (
    <Code
      label="Recovery code"
      hint={`Each counts once; you have ${recovery} left.`}
      mode="text"
      most={40}
      focus={false}
      busy={busy}
      send={(text) => prove(async () => ({ recovery_code: text }))}
    />
  )
  if (!app) return spare
  if (recovery === 0) return code
  return (
    <Tabs defaultValue="app" keepMounted={false}>
      <Tabs.List mb="md">
        <Tabs.Tab value="app">Authenticator app</Tabs.Tab>
        <Tabs.Tab value="recovery">Recovery code</Tabs.Tab>
      </Tabs.List>
      <Tabs.Panel value="app">{code}</Tabs.Panel>
      <Tabs.Panel value="recovery">{spare}</Tabs.Panel>
    </Tabs>
  )
}

interface CodeProps {
  label: string
  hint?: string
  mode: 'numeric' | 'text'
  most: number
  focus: boolean
  busy: boolean
  send: (code: string) => Promise<void>
}

/** One code, which is forgotten as soon as it was sent. */
function Code({ label, hint, mode, most, focus, busy, send }: CodeProps) {
  const [code, setCode] = useState('')
  const field = useRef<HTMLInputElement>(null)
  const submit = async () => {
    await send(code.trim())
    setCode('')
    field.current?.focus()
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (code.trim()) void submit()
      }}
    >
      <Group align="flex-end" gap="sm" wrap="nowrap">
        <TextInput
          ref={field}
          label={label}
          description={hint}
          inputMode={mode}
          autoComplete="one-time-code"
          spellCheck={false}
          maxLength={most}
          value={code}
          onChange={(event) => setCode(event.currentTarget.value)}
          data-autofocus={focus || undefined}
          flex={1}
        />
        <Button type="submit" loading={busy} disabled={!code.trim()}>
          Confirm
        </Button>
      </Group>
    </form>
  )
}

function NoFactor() {
  return (
    <Stack>
      <Text>
        This needs a second factor, and you have none yet. Add a passkey or an authenticator app to your account, then
        come back and do it again.
      </Text>
      <Group justify="flex-end">
        <Button variant="default" onClick={stepUp.dismissed}>
          Not now
        </Button>
        <Button component={Link} to={paths.settings()} onClick={stepUp.dismissed}>
          Go to my security
        </Button>
      </Group>
    </Stack>
  )
}

/** askPasskey has the browser ask for a passkey, for a challenge of this moment (Web Authentication, level 3). */
async function askPasskey(): Promise<Proof> {
  const { public_key } = await answer(
    api.POST('/me/step-up/passkey', { params: { header: { 'Idempotency-Key': newKey() } } }),
  )
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(public_key as never)
  const given = await navigator.credentials.get({ publicKey })
  if (!(given instanceof PublicKeyCredential)) throw new DOMException('', 'NotAllowedError')
  return { passkey: { ...given.toJSON() } }
}

function why(error: unknown): string {
  if (error instanceof DOMException) return 'The passkey was not used. Try again, or prove yourself in another way.'
  if (codeOf(error) === 'step_up_failed') return `${sentence(error)} Each code counts once, and only for a short time.`
  return sentence(error)
}
