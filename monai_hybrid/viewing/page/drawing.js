"use strict";
// Voxels in the order of the file and in the order of the viewer (RAS), there and back by the viewer's own steps.

function eachRow(volume, row) {
  const [, width, height, depth] = volume.dimsRAS;
  const [stepX, stepY, stepZ] = volume.img2RASstep;
  const [startX, startY, startZ] = volume.img2RASstart;
  for (let z = 0, ras = 0; z < depth; z++) {
    for (let y = 0; y < height; y++, ras += width) {
      row(ras, startX + startY + y * stepY + startZ + z * stepZ, width, stepX);
    }
  }
}

export function toViewer(voxels, volume) {
  const turned = new Uint8Array(voxels.length);
  eachRow(volume, (ras, file, width, step) => {
    for (let x = 0; x < width; x++) turned[ras + x] = voxels[file + x * step];
  });
  return turned;
}

export function toFile(turned, volume) {
  const voxels = new Uint8Array(turned.length);
  eachRow(volume, (ras, file, width, step) => {
    for (let x = 0; x < width; x++) voxels[file + x * step] = turned[ras + x];
  });
  return voxels;
}

export function colourTable(labels) {
  const part = (at) => labels.map((label) => parseInt(label.colour.slice(at, at + 2), 16));
  return { R: part(1), G: part(3), B: part(5), A: labels.map((label) => (label.index ? 255 : 0)), I: labels.map((label) => label.index), labels: labels.map(() => "") };
}

export async function packed(voxels) {
  const stream = new Blob([voxels]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Response(stream).blob();
}

// NiiVue 0.69 leaves the last voxel of each line undrawn, and with it the end of every stroke.
export function drawsWholeLines(viewer) {
  const line = viewer.drawPenLine.bind(viewer);
  viewer.drawPenLine = (end, start, value) => {
    line(end, start, value);
    viewer.drawPt(...end, value);
  };
}
