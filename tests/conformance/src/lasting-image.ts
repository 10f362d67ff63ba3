/** An image that comes back: if one dies over a request, or never answers it, that request fails and a new one starts. */
import { ConformanceImage, ImageError, type ImageBoard } from "./image.js";
import type { Answering } from "./play.js";

export class LastingImage implements Answering {
  #image: ConformanceImage | undefined;

  constructor(
    private readonly board: ImageBoard,
    /** How long an answer may take, in seconds. */
    private readonly patience: number,
  ) {}

  /** Throws ImageError. A new image has no module. */
  async request(request: Uint8Array): Promise<string> {
    this.#image ??= ConformanceImage.start(this.board);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new ImageError(`no answer in ${String(this.patience)} s`));
      }, this.patience * 1000);
    });
    try {
      return await Promise.race([this.#image.request(request), late]);
    } catch (error) {
      this.end();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  end(): void {
    this.#image?.kill();
    this.#image = undefined;
  }
}
