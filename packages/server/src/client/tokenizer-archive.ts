import { type UnzipFileInfo, unzipSync } from "fflate";
import { TokenizerError } from "./collect-tokenizer.ts";

export interface ArchiveBounds {
  readonly maxEntries: number;
  /** All entries together, unpacked, as the archive declares them; unpacking never writes more than declared. */
  readonly maxInflatedBytes: number;
}

export const archiveBounds: ArchiveBounds = { maxEntries: 50, maxInflatedBytes: 500 * 1024 * 1024 };

/**
 * Unpacks the named files of a tokenizer archive in memory; files that it lacks are absent from the map. Every entry
 * counts against the bounds, only the wanted ones are unpacked. Throws {@link TokenizerError} for an archive that is
 * broken, exceeds a bound, has one name twice, or has a name that leads out of its folder.
 */
export function openTokenizerArchive(
  archive: Uint8Array,
  wanted: readonly string[],
  bounds: ArchiveBounds = archiveBounds,
): ReadonlyMap<string, Uint8Array> {
  const names = new Set<string>();
  let inflatedBytes = 0;
  const admit = (entry: UnzipFileInfo): boolean => {
    if (leadsOutside(entry.name))
      throw archiveError(`an entry with the name ${JSON.stringify(entry.name.slice(0, 80))}`);
    if (names.has(entry.name)) throw archiveError(`two entries named ${JSON.stringify(entry.name.slice(0, 80))}`);
    names.add(entry.name);
    inflatedBytes += entry.originalSize;
    if (names.size > bounds.maxEntries) throw archiveError(`more than ${bounds.maxEntries} entries`);
    if (inflatedBytes > bounds.maxInflatedBytes) {
      throw archiveError(`entries of more than ${bounds.maxInflatedBytes} bytes together`);
    }
    return wanted.includes(entry.name);
  };
  let files: Readonly<Record<string, Uint8Array>>;
  try {
    files = unzipSync(archive, { filter: admit });
  } catch (thrown) {
    if (thrown instanceof TokenizerError) throw thrown;
    throw new TokenizerError("The server's tokenizer archive is not a ZIP file that can be read.", { cause: thrown });
  }
  return new Map(Object.entries(files));
}

function archiveError(what: string): TokenizerError {
  return new TokenizerError(`The server's tokenizer archive has ${what}, so it is not used.`);
}

function leadsOutside(name: string): boolean {
  return name === "" || /^[/\\]|^[A-Za-z]:|\\|\0/.test(name) || name.split("/").includes("..");
}
