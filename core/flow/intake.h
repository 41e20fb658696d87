/*
 * intake.h - the handler of the intake listener (flow_intake in flow.h) and its own state.
 */
#pragma once

struct flow;

void intake_finish(struct flow *f); /* frees the keyed HMACs */
