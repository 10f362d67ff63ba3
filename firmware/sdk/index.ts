// asc looks here for "@edgeplug/sdk".
export * from "./assembly/index";
