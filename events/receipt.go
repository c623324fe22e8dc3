package events

// Receipt is what an agent signed when it said what became of a job: its call, exactly as it
// came. Whoever knows the agent's key from its enrolment can check, without asking anybody, that
// the agent said it, and about which job (package transparency/receipts). No value, key of a
// value or envelope is in it: the messages that end jobs carry none.
type Receipt struct {
	Agent   AgentID `json:"agent"`
	Account string  `json:"account"` // whose call it is; part of what was signed
	Service Service `json:"service"` // likewise: complete, fail, compare, finish or abandon
	Key     string  `json:"key"`     // public Ed25519 key, as in AgentEnrolled
	Frame   []byte  `json:"frame"`   // request frame of package seal: nonce, signature and message
}

// MaxReceipt is how long a frame may be that is kept, in bytes. The longest that ends a read of
// 64 keys has 3 kB. Of a longer one, which a comparison of many keys with long names may have,
// there is no receipt.
const MaxReceipt = 8 << 10
