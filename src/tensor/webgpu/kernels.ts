// Every WGSL body there is. Importing this registers them with tfjs under the names the doors ask for.
import "./linear.ts";
import "./low_rank.ts";
