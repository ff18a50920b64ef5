// SPDX-License-Identifier: LGPL-2.1-or-later
// What Node.js loads before all else if mergemem-run gave it --random-seed=N. From that N, which all
// processes of a group have and everybody sees, Math.random() would draw the same numbers in each of them.
'use strict';

// The heap has its place. Worker threads begin with a seed of their own, whatever environment and arguments
// they are given, which may be without this file.
require('v8').setFlagsFromString('--random-seed=0');

const pool = new Uint32Array(1024);
let left = 0, fill;

// A method as the original is one: no constructor, no arguments, named "random".
Math.random = {
        // 53 bits of 64.
        random() {
                if (left === 0) {
                        // Not loaded earlier, as it takes a MiB.
                        fill = fill || require('crypto').randomFillSync;
                        fill(pool);
                        left = pool.length;
                }
                left -= 2;
                return ((pool[left] >>> 5) * 0x4000000 + (pool[left + 1] >>> 6)) / 0x20000000000000;
        },
}.random;
