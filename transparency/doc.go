// Package transparency makes the log provable to who does not trust the one that keeps it. It is
// pure: what it needs to read comes through ports.
//
// Leaf i of the tree is the commit with sequence i+1, exactly the bytes that the stream holds,
// hashed as RFC 6962, section 2.1, says. Checkpoints have the form of c2sp.org/tlog-checkpoint,
// tiles that of c2sp.org/tlog-tiles, cosignatures that of c2sp.org/tlog-cosignature, witness
// policies that of c2sp.org/tlog-policy and proofs in a file that of c2sp.org/tlog-proof. Those
// formats are read and written by filippo.io/torchwood and golang.org/x/mod/sumdb.
package transparency
