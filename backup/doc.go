// Package backup reads and writes backups of an installation: one age-encrypted tar, written and
// read in one pass, whatever its size.
//
// Its entries come in this order and none may be missing, doubled or added:
//
//	head.json           what follows ([Head])
//	files/NAME          keys and what else the data directory holds that nothing tells again
//	private/TABLE/NNNN  rows of schema private, as COPY writes them, in pieces
//	log/NNNN            commits as the log keeps them, one JSON object a line, in pieces
//	manifest.json       what came before, and what proves it ([Manifest])
//
// So a backup is readable without this program: age -d -i KEY FILE | tar -x.
//
// Encryption keeps a backup from those who have no identity; it proves nothing of who wrote it,
// because recipients are public. What proves the log is the checkpoint of its last commit, by the
// log's own key; what proves all else is a MAC under a key of the key manager.
package backup
