/** What the exported files are made of. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
