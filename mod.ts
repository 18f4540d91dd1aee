// catavmm: Linux programs in KVM virtual machines, from func-images.
export { type Output, Sandbox } from './vmm/sandbox.ts';
export { FuncImage, type FuncImageOptions } from './vmm/func-image.ts';
export { Template, type TemplateOptions } from './vmm/template.ts';
export { WorkerPool, type WorkerPoolOptions } from './vmm/worker-pool.ts';
export type { PoolForkOptions, PoolOutput } from './vmm/worker-request.ts';
export type { WaterMarks } from './vmm/boot/pool/zygote-pool.ts';
export { VERSION as version } from './vmm/version.ts';
export { CatavmmError, type CatavmmErrorCode } from './vmm/errors.ts';
export { HostError, type HostErrorCode } from './vmm/host/errors.ts';
export { ImageError, type ImageErrorCode } from './vmm/boot/image/image-error.ts';
export type {
  BaselineOptions, BootMode, BootOptions, BootReport, BuildOptions, BuildResult, CheckpointOptions,
  CheckpointResult, EntryChoice, ForkOptions, LogFile, OutputTarget, ProgramOptions,
  PublishedPort, Report,
  SandboxOptions, Status, StdinSource, Technique, TuneOptions, TuneResult, Volume,
} from './vmm/options.ts';
