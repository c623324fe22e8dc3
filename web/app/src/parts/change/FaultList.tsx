import { Alert, List, Text } from '@mantine/core'
import { IconAlertTriangle, IconInfoCircle } from '@tabler/icons-react'
import type { Fault, Kind } from '../../api/governance'
import { told } from '../governance/objects'
import { capital } from './Editing'
import { wordsOf } from './fieldWords'

interface Props {
  faults: Fault[]
  /** The object that all of it is about, which then goes without saying. */
  about?: { kind: Kind; name: string }
}

/** What is wrong with a draft, and apart from it what is only odd. */
export function FaultList({ faults, about }: Props) {
  const wrong = faults.filter((f) => !f.warning)
  const odd = faults.filter((f) => f.warning)
  const say = (f: Fault) => {
    const elsewhere = f.kind && (f.kind !== about?.kind || f.name !== about?.name)
    const place = [elsewhere ? told(f.kind as Kind, f.name) : '', f.field ? wordsOf(f.field) : ''].filter(Boolean)
    return place.length > 0 ? `${capital(place.join(', '))}: ${f.problem}` : capital(f.problem)
  }
  return (
    <>
      {wrong.length > 0 && (
        <Alert
          color="red"
          role="status"
          icon={<IconAlertTriangle size={18} />}
          title={wrong.length === 1 ? 'One thing to mend' : `${wrong.length} things to mend`}
        >
          <Listed lines={wrong.map(say)} />
        </Alert>
      )}
      {odd.length > 0 && (
        <Alert
          color="yellow"
          role="status"
          icon={<IconInfoCircle size={18} />}
          title="Worth a look; it hinders nothing"
        >
          <Listed lines={odd.map(say)} />
        </Alert>
      )}
    </>
  )
}

function Listed({ lines }: { lines: string[] }) {
  return (
    <List size="md" spacing={4} listStyleType="none">
      {lines.map((line) => (
        <List.Item key={line}>
          <Text size="md" lineClamp={3} title={line}>
            {line}
          </Text>
        </List.Item>
      ))}
    </List>
  )
}
