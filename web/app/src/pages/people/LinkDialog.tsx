import { Modal } from '@mantine/core'
import type { Link } from '../../api/people'
import { LinkShown } from './LinkShown'

/** Shows a reset link, this once. */
export function LinkDialog({ name, link, close }: { name: string; link: Link; close: () => void }) {
  return (
    <Modal opened onClose={close} title={`A reset link for ${name}`} closeOnClickOutside={false}>
      <LinkShown link={link} close={close} />
    </Modal>
  )
}
