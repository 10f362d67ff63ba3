// What the tests of this folder talk to: the images of the package, and requests in bytes.
export * from "./src/image.js";
export { ed25519Request, hashRequest, u32 } from "./src/requests.js";
