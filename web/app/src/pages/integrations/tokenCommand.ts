// How a program uses its token: from its environment, never as an argument.

/** sbCommand is for who has `sb` where the program runs. */
export const sbCommand = (server: string) =>
  [`export SB_SERVER=${server}`, 'export SB_TOKEN="$(cat /run/secrets/sb-token)"', 'sb request list'].join('\n')

/** curlCommand is for all others. The header comes by standard input: who lists processes reads arguments. */
export const curlCommand = (server: string) =>
  [
    `printf 'Authorization: Bearer %s' "$SB_TOKEN" |`,
    `  curl --fail-with-body --header @- ${server}/api/v1/requests`,
  ].join('\n')
