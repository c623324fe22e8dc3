package syslog

import (
	"context"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// takenEach is how often the system is asked.
const takenEach = 10 * time.Millisecond

// taken returns nil when the other side's system took every byte, and the end of the stream. A
// receiver that hung up with something unread, or before something came, did not: its system
// answers with a reset (RFC 1122, section 4.2.2.13), and what was not taken stays counted
// (tcp(7), SIOCOUTQ).
func taken(ctx context.Context, conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	for {
		var left, fault int
		var asked error
		err := raw.Control(func(fd uintptr) {
			if fault, asked = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); asked == nil {
				left, asked = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
			}
		})
		switch {
		case err != nil:
			return err
		case asked != nil:
			return asked
		case fault != 0:
			return unix.Errno(fault)
		case left == 0:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d bytes were not taken", left)
		case <-time.After(takenEach):
		}
	}
}
