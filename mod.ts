// The public interface of the package `catavmm`.

/** The package's version, as in package.json. */
export const version: string = '0.1.0';
