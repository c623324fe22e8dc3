// Package postgres is what every room with tables shares: opening pools, running
// migrations under the right role, and a private cluster for development and tests.
//
// Two logins, two powers. The owner login migrates and rebuilds. The application
// login, [AppRole], reads and writes what the migrations grant it, and can neither
// change nor remove a row of the audit. All objects belong to [OwnerRole], which
// nobody can sign in as.
package postgres
