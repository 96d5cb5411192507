/*
 * The innermost loops of a load; compiled.py tells what goes in and what comes out.
 *
 * Nothing is decided here that Python does not decide too. What is not plain at a glance is left to it, so each of these
 * functions may be missing, and tests hold them against what they stand in for.
 */

#include "text.h"

static PyMethodDef functions[] = {
    {"sift", sift, METH_VARARGS, NULL},
    {"suspected", suspected, METH_VARARGS, NULL},
    {"earliest", earliest, METH_VARARGS, NULL},
    {"scan", scan, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* By this compiled.py knows whether it is made of the sources that lie beside it. */
static int tell_sources(PyObject *module) { return PyModule_AddStringConstant(module, "SOURCES", SOURCES); }

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)tell_sources}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_compiled", .m_methods = functions, .m_slots = slots,
};

PyMODINIT_FUNC PyInit__compiled(void) { return PyModuleDef_Init(&definition); }
