export interface Target {
  /** Writes the bytes to the file, or hands them to the browser as a blob. */
  save(response: Response, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<void>;
}

interface SaveFilePicker {
  showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
}

/**
 * Asks where to save a download. A link would expose the access token, so the bytes are loaded with `fetch`: straight
 * to the disk if the browser supports it, else through a blob.
 * @returns undefined if the user cancels
 */
export async function chooseTarget(name: string): Promise<Target | undefined> {
  const { showSaveFilePicker } = window as SaveFilePicker;
  if (!showSaveFilePicker) return throughBlob(name);
  try {
    return toFile(await showSaveFilePicker({ suggestedName: name }));
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return undefined;
    throw error;
  }
}

/** Lets the user save a text that the page already has. */
export async function saveText(name: string, text: string): Promise<void> {
  const target = await chooseTarget(name);
  const response = new Response(text, { headers: { 'content-type': 'text/plain' } });
  await target?.save(response, () => undefined, new AbortController().signal);
}

function toFile(handle: FileSystemFileHandle): Target {
  return {
    // An incomplete download leaves no file: an aborted writable keeps nothing.
    save: async (response, onBytes, signal) =>
      response.body!.pipeThrough(counting(onBytes)).pipeTo(await handle.createWritable(), { signal }),
  };
}

function throughBlob(name: string): Target {
  return {
    async save(response, onBytes, signal) {
      const type = response.headers.get('content-type') ?? '';
      const body = response.body!.pipeThrough(counting(onBytes), { signal });
      const url = URL.createObjectURL(await new Response(body, { headers: { 'content-type': type } }).blob());
      const link = document.createElement('a');
      link.href = url;
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    },
  };
}

function counting(onBytes: (bytes: number) => void) {
  let bytes = 0;
  return new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      onBytes(bytes);
      controller.enqueue(chunk);
    },
  });
}
