/** Anything JSON can carry; what crosses a wire or is stored is of this type. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
