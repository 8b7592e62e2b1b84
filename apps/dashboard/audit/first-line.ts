/** Returns the first line with this beginning, unchanged: parsing and serializing it could change its bytes. */
export async function firstLineWith(response: Response, beginning: string): Promise<string> {
  const reader = response.body!.getReader();
  try {
    const decoder = new TextDecoder();
    for (let text = ''; ;) {
      const { value, done } = await reader.read();
      text += decoder.decode(value, { stream: !done });
      const lines = text.split('\n');
      const line = lines.slice(0, done ? undefined : -1).find((candidate) => candidate.startsWith(beginning));
      if (line !== undefined) return line;
      if (done) throw new Error('The response ended before the event');
      text = lines.at(-1)!;
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}
