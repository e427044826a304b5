/* The circle as a picture: who owns what, and where the request ids fall. */
#ifndef QUOIT_RING_SVG_H
#define QUOIT_RING_SVG_H

#include "core/buf.h"
#include "ring/state.h"

/* A whole SVG document, light or dark as the reader's screen is: a ring in as many colours as
 * members, outside of it a bar for each 1/256 of the circle, as long as it has request ids, and a
 * legend. shares: of the request ids, one a member. The placement has a circle (owner_at). */
void ring_svg_print(const struct ring_setup *setup, const struct ring_state *state,
                    const double *shares, struct buf *out);

#endif
