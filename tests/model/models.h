/* What model_checks runs. */
#ifndef MODEL_MODELS_H
#define MODEL_MODELS_H

void check_bell(void);
void check_ring(void);
void check_cancel(void);
void check_event(void);

#endif
