import { Stack } from '@mantine/core'
import { useMe } from '../../session/who'
import { Page } from '../../ui/Page'
import { Delegations } from './Delegations'
import { Factors } from './Factors'
import { Notices } from './Notices'
import { Password } from './Password'
import { Sessions } from './Sessions'
import { You } from './You'

export function Settings() {
  const me = useMe()
  return (
    <Page
      title="Settings"
      about="Who you are here, how you prove it, how you are told, and who acts for you."
      wide={false}
    >
      <Stack gap={20}>
        <You me={me} />
        <Factors />
        <Sessions />
        <Password />
        <Notices />
        <Delegations me={me} />
      </Stack>
    </Page>
  )
}
