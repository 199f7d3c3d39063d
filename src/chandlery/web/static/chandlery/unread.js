// Why an answer is none.

export function unread(response, otherwise) {
  return response.status === 401 ? "You are not signed in any more: load the page anew." : otherwise;
}
